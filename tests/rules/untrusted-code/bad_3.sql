LOAD 'lib';
