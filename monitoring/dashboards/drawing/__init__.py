"""
A page that shows a dashboard with recorded answers, much as Grafana would, for pictures.

formats  values with their units
scales   the ticks of axes
charts   time series, state timelines and heatmaps, as SVG
tables   tables, and the joining of answers to rows
page     the other kinds of panels, and the page that holds them
"""
