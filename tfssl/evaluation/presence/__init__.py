"""Which classes a picture shows, several at once: the parts of the task voc_classification."""
