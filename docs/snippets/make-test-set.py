from pathlib import Path

import nearfar
from nearfar.data import write_beir

options = nearfar.DataOptions()
data = nearfar.split(nearfar.load("pairs.jsonl"), options)
folder = write_beir(data, Path("household"))
print(sorted(path.name for path in folder.iterdir()))
