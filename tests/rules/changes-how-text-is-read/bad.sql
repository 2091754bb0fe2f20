SET LOCAL standard_conforming_strings = off;
