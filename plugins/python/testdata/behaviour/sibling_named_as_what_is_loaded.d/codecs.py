WHOSE = "nobody gets this one: codecs is loaded before any script"
