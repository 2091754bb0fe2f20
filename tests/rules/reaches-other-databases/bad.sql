SELECT dblink_exec('host=elsewhere', 'DELETE FROM t');
