nearfar report runs/first --out first.html
