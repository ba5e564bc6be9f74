import threading

threading.Event().wait(0.05)
print("loaded")
END = "whole"
