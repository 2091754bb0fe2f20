DROP TYPE unused;
