"""Why a run is worse than it could be, or worse than it looks: causes, each from a measurement."""
