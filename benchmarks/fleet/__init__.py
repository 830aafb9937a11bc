"""What the simulation of a fleet's day consists of: the day itself, a KMS with a quota, the processes, the counts."""
