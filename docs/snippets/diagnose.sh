nearfar diagnose runs/first
nearfar diagnose runs/longer --against runs/first --out runs/diagnosed
