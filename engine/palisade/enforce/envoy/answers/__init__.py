"""What a decision answers: verdict, status, headers and body, as far as Envoy's filters can say them."""
