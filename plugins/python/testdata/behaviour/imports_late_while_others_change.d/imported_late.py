WHEN = "late"
