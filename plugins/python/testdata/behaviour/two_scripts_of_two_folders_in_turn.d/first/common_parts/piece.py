OF = "first"
