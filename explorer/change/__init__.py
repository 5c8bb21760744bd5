"""What makes hardwiring live with change: re-spins, adapters, drafts, cascades, and GPUs beside hardwired chips."""
