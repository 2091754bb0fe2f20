CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'app', password 'secret');
