nearfar evaluate runs/first household --split test --out runs/measured
