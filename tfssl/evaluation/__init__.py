"""How good a result is: metrics of arrays and encoders. Nothing here knows a method."""
