"""Revenue by product and by month, from the CSV file given."""

import csv
import statistics
import sys
from collections import defaultdict

revenue_by_product = defaultdict(float)
revenue_by_month = defaultdict(float)
with open(sys.argv[1], newline="") as file:
    for sale in csv.DictReader(file):
        revenue = int(sale["units"]) * float(sale["unit_price"])
        revenue_by_product[sale["product"]] += revenue
        revenue_by_month[sale["date"][:7]] += revenue

total = sum(revenue_by_product.values())
for product, revenue in sorted(revenue_by_product.items(), key=lambda row: -row[1]):
    print(f"{product:<10} {revenue:>10.2f}  {revenue / total:>6.1%}")

best = max(revenue_by_month, key=revenue_by_month.get)
print(f"total {total:.2f}; best month {best}; median month {statistics.median(revenue_by_month.values()):.2f}")
