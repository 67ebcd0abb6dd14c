nearfar train runs/mined --model runs/first --out runs/harder --set batches.hard_negatives=2
