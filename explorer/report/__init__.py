"""The main answer: a model in metal, beside other machines and beside the paper."""
