import sys

print(sum(int(line) for line in open(sys.argv[1])))
