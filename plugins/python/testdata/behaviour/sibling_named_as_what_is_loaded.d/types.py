WHOSE = "nobody gets this one: types is loaded before any script"
