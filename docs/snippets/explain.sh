nearfar explain InfoNCE "DCL(temperature=0.05)" --run runs/first --out weights.html
