"""
Dashboards for Grafana, as values from which everything else is made.

model         the form of a dashboard, a panel and a query
promql        expressions, written with the metrics of the catalogue
all_searches  a dashboard of every search
one_search    a dashboard of one search
of_operator   a dashboard of the operator
catalogue     all three
grafana       the JSON that Grafana imports
substitution  the values of variables, put into expressions as Grafana does
recording     the answers of a Prometheus to the queries of a dashboard
drawing       a page that shows a dashboard with such answers
"""
