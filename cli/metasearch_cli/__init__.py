"""The command `metasearch`: searches on one machine and on a cluster, reports, tables and exports."""
