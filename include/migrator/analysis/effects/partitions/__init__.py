"""Which partitions a statement reaches."""
