"""The main answer: a hardwired model, compared with other machines and with the paper."""
