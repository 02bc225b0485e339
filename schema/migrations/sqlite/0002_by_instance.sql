-- What is looked up for one instance each time it begins or ends a migration; without these, by reading all there is.
CREATE INDEX claims_by_instance ON claims (instance);
CREATE INDEX migrations_by_instance ON migrations (instance, generation);
