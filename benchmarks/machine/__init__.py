"""What the benchmarks ask of the machine: processes, processor time, memory, ports."""
