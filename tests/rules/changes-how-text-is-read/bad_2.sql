SET NAMES 'latin1';
