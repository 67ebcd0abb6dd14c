nearfar explain --list pairwise
