print("\udcff")
1
