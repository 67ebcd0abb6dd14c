nearfar search runs/first "Can I paint my bicycle?" -k 3
