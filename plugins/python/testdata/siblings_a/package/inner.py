import helper

VALUE = "package of " + helper.NAME
