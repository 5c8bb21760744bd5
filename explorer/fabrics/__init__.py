"""Where weights may live, with the price of changing them."""
