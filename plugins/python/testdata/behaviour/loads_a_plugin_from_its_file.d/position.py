PLACE = "beside the script"
