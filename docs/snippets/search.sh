nearfar search runs/first "Where should I keep a sofa in winter?" -k 3
