"""How much a fine-tune must have gained over its base before shares of that gain mean something."""

# Of the share of items answered rightly. Shares of next to nothing are noise: of 500 items, a gain of a tenth still has
# a standard error of a fifth of itself.
LEAST_GAIN = 0.1
