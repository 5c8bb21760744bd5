"""GPUs and other bought accelerators: formats, splits over machines, times of a step, rates of a workload."""
