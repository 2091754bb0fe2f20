ALTER TABLE "Odd Names" ADD PRIMARY KEY ("Key", "the value");
