"""What is shipped: wheel and source archive, the wheelhouse for sites without a network, the bill of materials."""
