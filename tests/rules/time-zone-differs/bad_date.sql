UPDATE deadlines SET day = '01/02/2025' WHERE id = 1;
