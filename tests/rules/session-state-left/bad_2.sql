SET ROLE somebody;
SELECT 1;
