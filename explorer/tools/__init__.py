"""One die through the published carbon and cost tools."""
