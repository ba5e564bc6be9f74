TITLE = "top of it"
