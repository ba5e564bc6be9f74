WHERE = "in a subpackage"
