"""From a model on a machine to its bill, TCO and carbon, for one design or for arrays of them."""
