SET TimeZone = 'Asia/Tokyo';
SELECT 1;
