OF = "second"
