"""What color methods share: decoding, joining at full size, metrics, and colorizing itself."""
